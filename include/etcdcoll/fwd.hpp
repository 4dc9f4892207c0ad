#pragma once
// The names of the library's classes, for headers that only mention them.

namespace etcdcoll {

class error;
class environment;
class logger;
class client_options;
class session;
class group;
class group_options;
struct call_options;
struct collective_options;

namespace etcd {
class auth;
class batch;
class client;
class cluster;
class election_observer;
class election_service;
class list_watch;
class lock_service;
class maintenance;
class pages;
class watch;
class txn_request;
} // namespace etcd

} // namespace etcdcoll
