#include <etcdcoll/impl/recipes/commit.ipp>
#include <etcdcoll/impl/recipes/election.ipp>
#include <etcdcoll/impl/recipes/modify.ipp>
#include <etcdcoll/impl/recipes/mutex.ipp>
#include <etcdcoll/impl/recipes/place.ipp>
#include <etcdcoll/impl/recipes/receipt_book.ipp>
#include <etcdcoll/impl/recipes/transaction.ipp>
#include <etcdcoll/impl/recipes/waiting.ipp>
