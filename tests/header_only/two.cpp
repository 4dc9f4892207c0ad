#include <etcdcoll/etcdcoll.hpp>
#include <etcdcoll/json.hpp>

using host_name_function = decltype(&etcdcoll::host_name);
host_name_function host_name_of_the_other_unit();

host_name_function host_name_of_the_other_unit() {
    return &etcdcoll::host_name;
}
