#include <etcdcoll/impl/etcd/in_memory/history.ipp>
#include <etcdcoll/impl/etcd/in_memory/lease_table.ipp>
#include <etcdcoll/impl/etcd/in_memory/request_rules.ipp>
#include <etcdcoll/impl/etcd/in_memory/store.ipp>
#include <etcdcoll/impl/etcd/in_memory/store_leases.ipp>
#include <etcdcoll/impl/etcd/in_memory/store_txn.ipp>
#include <etcdcoll/impl/etcd/in_memory/store_watch.ipp>
#include <etcdcoll/impl/etcd/in_memory/wire_size.ipp>
