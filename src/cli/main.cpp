#include <cstdio>

int main() { std::puts("temblor"); }
