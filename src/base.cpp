#include <etcdcoll/impl/condition.ipp>
#include <etcdcoll/impl/environment.ipp>
#include <etcdcoll/impl/error.ipp>
#include <etcdcoll/impl/log.ipp>
#include <etcdcoll/impl/tcp_stream.ipp>
