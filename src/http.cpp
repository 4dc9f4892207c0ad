#include <etcdcoll/impl/http/connection.ipp>
#include <etcdcoll/impl/http/endpoint.ipp>
#include <etcdcoll/impl/http/pool.ipp>
