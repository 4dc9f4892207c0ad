#include <etcdcoll/impl/tls_stream.ipp>
