# etcdcoll_own_target(<target>): what holds for every target of ours, and is imposed on nobody else's.
function(etcdcoll_own_target target)
    set_target_properties(${target} PROPERTIES
        C_EXTENSIONS OFF
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wcast-align -Wundef
        $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual;-Wold-style-cast;-Wextra-semi>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Wrong about std::string (GCC bug 105651), through the optimizer about std::optional and std::variant, and about how coroutine frames are allocated.
        target_compile_options(${target} PRIVATE -Wno-restrict -Wno-maybe-uninitialized -Wno-mismatched-new-delete)
    endif()
    if(ETCDCOLL_WARNINGS_AS_ERRORS)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
