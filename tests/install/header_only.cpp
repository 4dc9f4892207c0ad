// Needs nothing of EtcdColl but its headers, and no server.
#include <etcdcoll/etcdcoll.hpp>

#include <iostream>

int main() {
    etcdcoll::group_options options;
    std::cout << "EtcdColl " << etcdcoll::version << ", options of " << sizeof(options) << " bytes\n";
}
