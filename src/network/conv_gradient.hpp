#pragma once

#include <temblor/network/types.hpp>
#include <temblor/network/window.hpp>

namespace temblor {

/// Adds the gradient by the kernels, [output channels x (channels / groups * taps)], of a loss whose gradient
/// by the outputs is `grad_out` [images x outputs]. Sums run over the positions of an image in a fixed cut,
/// then over the images in order.
void add_kernel_gradient(const Sliding& sliding, Index groups, const Matrix& in, const Matrix& grad_out,
                         Matrix& grad_weight);

/// The gradient by the inputs, [images x inputs]. With stride 1 it is the convolution of `grad_out` with the
/// kernels turned by 180 degrees; with stride s one such convolution for each of the s x s places an input
/// value can have relative to the windows. False, and nothing is done, where the geometry has no such form.
bool input_gradient(const Sliding& sliding, Index groups, const Matrix& weight, const Matrix& grad_out,
                    Matrix& grad_in);

}  // namespace temblor
