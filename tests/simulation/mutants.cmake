# Copies the files below with a fault in each, behind a switch (mutants.hpp), into a directory that comes before include/: what is simulated is the library as it is
# but for these places, and the library itself knows nothing of them. A text that is not there exactly once ends the configuration.
set(mutants_include_dir "${CMAKE_CURRENT_BINARY_DIR}/mutants")

function(etcdcoll_mutant file original mutated)
    set(source "${PROJECT_SOURCE_DIR}/include/etcdcoll/${file}")
    set(target "${mutants_include_dir}/etcdcoll/${file}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    get_property(mutated_files GLOBAL PROPERTY ETCDCOLL_MUTATED_FILES)
    if(file IN_LIST mutated_files)
        file(READ "${target}.new" text)
    else()
        set_property(GLOBAL APPEND PROPERTY ETCDCOLL_MUTATED_FILES "${file}")
        file(READ "${source}" text)
        string(REPLACE "#pragma once\n" "#pragma once\n#include <simulation/mutants.hpp>\n" text "${text}")
    endif()
    string(FIND "${text}" "${original}" first)
    string(FIND "${text}" "${original}" last REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL last)
        message(FATAL_ERROR "a mutant's text has to be in include/etcdcoll/${file} once, and is not:\n${original}")
    endif()
    string(REPLACE "${original}" "${mutated}" text "${text}")
    file(WRITE "${target}.new" "${text}")
endfunction()

etcdcoll_mutant(impl/group/arrive.ipp
    [=[    request.compares.push_back(etcd::mod_revision(keys_.arrival(rank_)) == arrival_changed_);]=]
    [=[    if (!ETCDCOLL_MUTANT(arrival_unguarded)) request.compares.push_back(etcd::mod_revision(keys_.arrival(rank_)) == arrival_changed_);]=])
etcdcoll_mutant(impl/group/arrive.ipp
    [=[    guards.push_back(etcd::create_revision(keys_.member(rank_)) == member_created_);]=]
    [=[    if (!ETCDCOLL_MUTANT(arrival_of_anybody)) guards.push_back(etcd::create_revision(keys_.member(rank_)) == member_created_);]=])
etcdcoll_mutant(impl/group/arrive.ipp
    [=[    guards.push_back(etcd::version(keys_.end()) == 0);]=]
    [=[    if (!ETCDCOLL_MUTANT(arrival_after_end)) guards.push_back(etcd::version(keys_.end()) == 0);]=])
etcdcoll_mutant(impl/group/arrive.ipp
    [=[before + size_ - 1)]=]
    [=[before + size_ - (ETCDCOLL_MUTANT(release_by_all_but_one) ? 2 : 1))]=])
etcdcoll_mutant(impl/group/arrive.ipp
    [=[count->value.starts_with(number) && count->value != number + mine.op) return]=]
    [=[count->value.starts_with(number) && count->value != number + mine.op && !ETCDCOLL_MUTANT(mismatch_unseen)) return]=])
etcdcoll_mutant(impl/group/allgather.ipp
    [=[    if (there != size_) {]=]
    [=[    if (there != size_ && !ETCDCOLL_MUTANT(gather_with_holes)) {]=])
etcdcoll_mutant(impl/group/allgather.ipp
    [=[    request.compares.push_back(etcd::mod_revision(keys_.count()) == arrival_changed_);]=]
    [=[    if (!ETCDCOLL_MUTANT(end_keeps_count)) request.compares.push_back(etcd::mod_revision(keys_.count()) == arrival_changed_);]=])
etcdcoll_mutant(impl/group/end.ipp
    [=[    request.success.emplace_back(etcd::erase(keys_.count()));]=]
    [=[    if (!ETCDCOLL_MUTANT(end_keeps_count)) request.success.emplace_back(etcd::erase(keys_.count()));]=])
etcdcoll_mutant(impl/group/join.ipp
    [=[etcd::create_revision(keys.member(rank)) == 0)]=]
    [=[ETCDCOLL_MUTANT(member_overwritten) ? etcd::create_revision(keys.member(rank)) != -1 : etcd::create_revision(keys.member(rank)) == 0)]=])
etcdcoll_mutant(detail/watch_cursor.hpp
    [=[next_ = newest + 1;]=]
    [=[next_ = newest + (ETCDCOLL_MUTANT(watch_resumes_at_last) ? 0 : ETCDCOLL_MUTANT(watch_skips_one) ? 2 : 1);]=])
etcdcoll_mutant(detail/retry.hpp
    [=[if (fate_unknown_ && kind_ == repeatability::once) return]=]
    [=[if (!ETCDCOLL_MUTANT(write_repeated) && fate_unknown_ && kind_ == repeatability::once) return]=])
etcdcoll_mutant(detail/retry.hpp
    [=[kind_ != repeatability::repeatable) fate_unknown_ = true;]=]
    [=[kind_ != repeatability::repeatable) fate_unknown_ = !ETCDCOLL_MUTANT(fate_forgotten);]=])
etcdcoll_mutant(detail/retry.hpp
    [=[if (when >= deadline_) return]=]
    [=[if (when >= deadline_ + std::chrono::seconds(ETCDCOLL_MUTANT(deadline_ignored) ? 20 : 0)) return]=])
etcdcoll_mutant(impl/etcd/client_core.ipp
    [=[failure.sent() ? attempt_outcome::unknown]=]
    [=[failure.sent() && !ETCDCOLL_MUTANT(lost_reply_not_sent) ? attempt_outcome::unknown]=])
etcdcoll_mutant(impl/recipes/place.ipp
    [=[taken.first = oldest != nullptr && oldest->key == key;]=]
    [=[taken.first = oldest != nullptr && (ETCDCOLL_MUTANT(lock_without_line) || oldest->key == key);]=])
etcdcoll_mutant(impl/recipes/place.hpp
    [=[{ return etcd::create_revision(key_) == created_; }]=]
    [=[{ return ETCDCOLL_MUTANT(lock_without_fence) ? etcd::version(key_) > -1 : etcd::create_revision(key_) == created_; }]=])

# Written only where something has changed, so that what depends on them is not built again for nothing.
get_property(mutated_files GLOBAL PROPERTY ETCDCOLL_MUTATED_FILES)
foreach(file IN LISTS mutated_files)
    file(COPY_FILE "${mutants_include_dir}/etcdcoll/${file}.new" "${mutants_include_dir}/etcdcoll/${file}" ONLY_IF_DIFFERENT)
    file(REMOVE "${mutants_include_dir}/etcdcoll/${file}.new")
endforeach()
