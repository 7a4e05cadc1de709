// How messages name another process of this machine.
#pragma once

#include <string>

namespace tideline {

// "process 1234 (python3)", without the name where it cannot be read.
std::string DescribeProcess(unsigned pid);

}  // namespace tideline
