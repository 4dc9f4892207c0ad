#pragma once
// Everything but the conversion of objects by nlohmann_json, which <etcdcoll/json.hpp> adds.

#include <etcdcoll/bytes.hpp>
#include <etcdcoll/error.hpp>
#include <etcdcoll/etcd/auth.hpp>
#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/etcd/cluster.hpp>
#include <etcdcoll/etcd/election.hpp>
#include <etcdcoll/etcd/list_watch.hpp>
#include <etcdcoll/etcd/lock.hpp>
#include <etcdcoll/etcd/maintenance.hpp>
#include <etcdcoll/etcd/metrics.hpp>
#include <etcdcoll/etcd/pages.hpp>
#include <etcdcoll/fwd.hpp>
#include <etcdcoll/group.hpp>
#include <etcdcoll/host.hpp>
#include <etcdcoll/log.hpp>
#include <etcdcoll/run.hpp>
#include <etcdcoll/serializer.hpp>
#include <etcdcoll/session.hpp>
#include <etcdcoll/tls.hpp>
#include <etcdcoll/version.hpp>
