#include <etcdcoll/impl/group/group.ipp>
#include <etcdcoll/impl/run.ipp>
