# A sanitizer has to see every translation unit of a program, so its flags go to all targets of this tree.
# ETCDCOLL_SANITIZE_FLAGS: the same flags for a consumer that links the result.
set(ETCDCOLL_SANITIZE_FLAGS "")
if(ETCDCOLL_SANITIZE)
    list(JOIN ETCDCOLL_SANITIZE "," etcdcoll_sanitizers)
    set(ETCDCOLL_SANITIZE_FLAGS
        -fsanitize=${etcdcoll_sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
    if("thread" IN_LIST ETCDCOLL_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC warns of atomic_thread_fence in Asio, which its sanitizer does not model; no false report has come of it.
        list(APPEND ETCDCOLL_SANITIZE_FLAGS -Wno-tsan)
    endif()
    add_compile_options(${ETCDCOLL_SANITIZE_FLAGS})
    add_link_options(${ETCDCOLL_SANITIZE_FLAGS})
endif()
