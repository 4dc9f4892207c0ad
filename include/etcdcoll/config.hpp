#pragma once
// How the library is compiled: as a library with an export list (the default), or header-only.
//
// ETCDCOLL_HEADER_ONLY  defined by the target EtcdColl::header_only: every body is an inline function in its header.
// ETCDCOLL_API          on what a shared library exports.
// ETCDCOLL_DECL         on each body in impl/*.ipp.

#if defined(ETCDCOLL_HEADER_ONLY)
#define ETCDCOLL_DECL inline
#define ETCDCOLL_API
#else
#define ETCDCOLL_DECL
#if defined(__GNUC__)
#define ETCDCOLL_API __attribute__((visibility("default")))
#else
#define ETCDCOLL_API
#endif
#endif
