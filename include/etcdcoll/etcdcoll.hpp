#pragma once
// Everything but the conversion of objects by nlohmann_json, which <etcdcoll/json.hpp> adds.

#include <etcdcoll/bytes.hpp>
#include <etcdcoll/error.hpp>
#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/etcd/metrics.hpp>
#include <etcdcoll/fwd.hpp>
#include <etcdcoll/group.hpp>
#include <etcdcoll/host.hpp>
#include <etcdcoll/log.hpp>
#include <etcdcoll/run.hpp>
#include <etcdcoll/serializer.hpp>
#include <etcdcoll/session.hpp>
#include <etcdcoll/tls.hpp>
#include <etcdcoll/version.hpp>
