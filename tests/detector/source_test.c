#include "tests/detector/support.h"
int main(void) { return 0; }
