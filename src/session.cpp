#include <etcdcoll/impl/session.ipp>
