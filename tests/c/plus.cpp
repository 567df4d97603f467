// The header is C++ too.
#include "nickeldime.h"

int main() {
    nd_sample sample = nd_seed(5);
    nd_model model = {};
    nd_status status = nd_draw(&model, &sample, nullptr, 0, nullptr, nullptr);
    return status == ND_STATUS_ARGUMENT && sample.psi == ND_ONE ? 0 : 1;
}
