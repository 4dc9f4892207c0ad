#include <etcdcoll/impl/etcd/auth.ipp>
#include <etcdcoll/impl/etcd/batch.ipp>
#include <etcdcoll/impl/etcd/cluster.ipp>
#include <etcdcoll/impl/etcd/election.ipp>
#include <etcdcoll/impl/etcd/list_watch.ipp>
#include <etcdcoll/impl/etcd/lock.ipp>
#include <etcdcoll/impl/etcd/maintenance.ipp>
#include <etcdcoll/impl/etcd/pages.ipp>
