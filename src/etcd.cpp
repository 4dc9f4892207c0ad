#include <etcdcoll/impl/base64.ipp>
#include <etcdcoll/impl/etcd/client.ipp>
#include <etcdcoll/impl/etcd/client_core.ipp>
#include <etcdcoll/impl/etcd/decode.ipp>
#include <etcdcoll/impl/etcd/encode.ipp>
#include <etcdcoll/impl/etcd/namespaced.ipp>
#include <etcdcoll/impl/etcd/types.ipp>
#include <etcdcoll/impl/etcd/watch_hub.ipp>
