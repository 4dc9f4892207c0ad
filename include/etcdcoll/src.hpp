#pragma once
// Every body of the library, for a project that would rather compile it in one unit of its own than link it.

#include <etcdcoll/impl/condition.ipp>
#include <etcdcoll/impl/environment.ipp>
#include <etcdcoll/impl/error.ipp>
#include <etcdcoll/impl/etcd/client.ipp>
#include <etcdcoll/impl/etcd/client_core.ipp>
#include <etcdcoll/impl/etcd/decode.ipp>
#include <etcdcoll/impl/etcd/encode.ipp>
#include <etcdcoll/impl/etcd/metrics.ipp>
#include <etcdcoll/impl/etcd/reply_stream.ipp>
#include <etcdcoll/impl/etcd/types.ipp>
#include <etcdcoll/impl/etcd/watch_hub.ipp>
#include <etcdcoll/impl/group/group.ipp>
#include <etcdcoll/impl/http/connection.ipp>
#include <etcdcoll/impl/http/endpoint.ipp>
#include <etcdcoll/impl/http/pool.ipp>
#include <etcdcoll/impl/base64.ipp>
#include <etcdcoll/impl/log.ipp>
#include <etcdcoll/impl/run.ipp>
#include <etcdcoll/impl/session.ipp>
#include <etcdcoll/impl/tcp_stream.ipp>
#include <etcdcoll/impl/tls_stream.ipp>
