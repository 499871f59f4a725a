#pragma once

namespace temblor {

/// Tells the allocator to keep freed memory instead of handing it back to the system: the matrices of one
/// block of images are what the next block needs, and fresh pages cost as much as the products on them. For
/// main() functions; without effect where the C library has no such setting.
void keep_memory();

}  // namespace temblor
