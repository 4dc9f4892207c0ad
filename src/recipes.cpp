#include <etcdcoll/impl/recipes/election.ipp>
#include <etcdcoll/impl/recipes/mutex.ipp>
#include <etcdcoll/impl/recipes/place.ipp>
#include <etcdcoll/impl/recipes/receipt_book.ipp>
#include <etcdcoll/impl/recipes/waiting.ipp>
