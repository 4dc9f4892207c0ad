# Configures, builds and runs a consumer's project as a user would, with the compiler and flags of this build.
# way: install (find_package on a fresh installation of this build) or subdir (add_subdirectory on the source tree).
function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${consumer_binary_dir}")
set(prefix "${consumer_binary_dir}/prefix")
set(build "${consumer_binary_dir}/build")

if(way STREQUAL "install")
    run("${CMAKE_COMMAND}" --install "${project_binary_dir}" --prefix "${prefix}" --config "${config}")
    set(find "-DCMAKE_PREFIX_PATH=${prefix}")
    if(command)
        set(command "${prefix}/bin/etcdcoll")
    endif()
else()
    set(find "-DETCDCOLL_SOURCE_DIR=${project_source_dir}")
endif()

run("${CMAKE_COMMAND}" -S "${consumer_source_dir}" -B "${build}" -G "${generator}" "${find}"
    "-DCMAKE_BUILD_TYPE=${config}"
    "-DCMAKE_C_COMPILER=${c_compiler}"
    "-DCMAKE_CXX_COMPILER=${cxx_compiler}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}"
    "-DCMAKE_CXX_FLAGS=${flags}"
    "-DBUILD_SHARED_LIBS=${shared}")
run("${CMAKE_COMMAND}" --build "${build}" --config "${config}" --parallel 2)

if(command)
    run("${command}" run -n 2 -- "${build}/meet")
endif()
if(way STREQUAL "install")
    run("${build}/header_only")
endif()
