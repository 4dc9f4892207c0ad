include(CMakePackageConfigHelpers)

set(etcdcoll_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/EtcdColl")
install(TARGETS etcdcoll etcdcoll_header_only EXPORT EtcdCollTargets FILE_SET HEADERS FILE_SET internals)
install(EXPORT EtcdCollTargets NAMESPACE EtcdColl:: DESTINATION "${etcdcoll_package_dir}")
configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/EtcdCollConfig.cmake.in" "${PROJECT_BINARY_DIR}/EtcdCollConfig.cmake"
    INSTALL_DESTINATION "${etcdcoll_package_dir}"
    NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break: a consumer that asked for 0.1 does not get 0.2.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/EtcdCollConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/EtcdCollConfig.cmake" "${PROJECT_BINARY_DIR}/EtcdCollConfigVersion.cmake"
    DESTINATION "${etcdcoll_package_dir}")

if(TARGET etcdcoll_command)
    if(BUILD_SHARED_LIBS)
        file(RELATIVE_PATH etcdcoll_bin_to_lib "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
        set_target_properties(etcdcoll_command PROPERTIES INSTALL_RPATH "$ORIGIN/${etcdcoll_bin_to_lib}")
    endif()
    install(TARGETS etcdcoll_command)
endif()
