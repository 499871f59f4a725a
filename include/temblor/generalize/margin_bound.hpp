#pragma once

#include <string>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// Norms of one weighted layer W [outputs x inputs], each rounded up: the true norm is never larger. Of a
/// convolution W is the equivalent matrix (theory, section 2).
struct LayerNorms {
  std::string name;
  Index inputs = 0;
  Index outputs = 0;
  double spectral = 0;  ///< s_m, largest singular value
  double two_one = 0;   ///< b_m = norm_{2,1}(W^T), sum of the l2-norms of the rows
  double row = 0;       ///< c_m = norm_{1,inf}(W^T), largest l1-norm of a row
  double column = 0;    ///< c'_m, largest l1-norm of a column
  Index readers = 0;    ///< q_m, most outputs that read one input: those of a dense layer, n_m
};

/// An upper limit on the largest singular value. Eigen's decomposition W ~ U S V^T is not trusted but
/// checked: norm_2(W) <= norm_2(U) S_max norm_2(V) + norm_F(W - U S V^T), with norm_2(U)^2 <= 1 + norm_F(U^T
/// U - I), everything in double and widened by its own rounding. Within 1e-9 of the truth, relatively.
double spectral_limit(const Matrix& weight);
/// A convolution's matrix is never written down: its largest singular value is at most sqrt(c c'), its
/// Frobenius norm, and sqrt(windows that see one value) times the limit of the kernel as a matrix [channels x
/// taps].
std::vector<LayerNorms> layer_norms(const Network& network);

/// Norms of the training images, rounded up.
struct DataNorms {
  Index images = 0;      ///< n
  double l1 = 0;         ///< X1, largest l1-norm of an image
  double frobenius = 0;  ///< norm_F of all images together
  VectorD image_l1{};    ///< [images]
};
DataNorms data_norms(const Dataset& data);

/// Why the bound does not apply; "" when it does. It needs a chain of dense layers and convolutions without
/// biases and, between them, of 1-Lipschitz functions with rho(0) = 0: relu, tanh, pools whose windows do not
/// overlap.
std::string refuses_margin_bound(const Network& network);

/// k = D / X1: no image x loses more than k norm_1(x) of a pair margin when every weight of layer m moves by
/// at most eps[m]. With zeta_0 = 1, zeta_m = (c'_m + q_m eps_m) zeta_{m-1}, d_0 = 0, d_m = c_m d_{m-1} +
/// eps_m zeta_{m-1}:  k = 2 c_L d_{L-1} + 2 eps_L zeta_{L-1}  (theory, section 10). Rounded up.
double drop_slope(const std::vector<LayerNorms>& norms, const std::vector<double>& eps);

/// (72 ln n / (gamma n)) norm_F(X) sqrt(ln(2 W^2)) prod_m s_m (sum_m (b_m / s_m)^{2/3})^{3/2}, W the largest
/// number of inputs or outputs of a layer. gamma > 0, n >= 2.
double complexity_term(const std::vector<LayerNorms>& norms, const DataNorms& data, double gamma);

/// What remains when the class of networks is not fixed before the data are seen: every s_m and b_m and the
/// slope of the drop are rounded up to powers of 2^(1/16), 0 staying 0, and the failure probability is
/// divided among all of them: 2^(k/16) has the share 1 / (2 (|k| + 1) (|k| + 2)) and 0 has 1/4 (the shares
/// add to 1). `cost` is the sum of ln(1 / share).
struct GridClass {
  std::vector<LayerNorms> norms;  ///< spectral and two_one on the grid
  double slope = 0;               ///< on the grid
  double cost = 0;
};
GridClass grid_class(const std::vector<LayerNorms>& norms, double slope);

/// One evaluation of the bound. Every term is an upper limit.
struct MarginBound {
  double first = 0;        ///< share of training images with margin <= gamma + drop
  double discretised = 0;  ///< 8 / n^{3/2}
  double complexity = 0;
  double confidence = 0;  ///< 3 sqrt((ln(2 / delta) + cost) / (2 n))
  double value() const { return first + discretised + complexity + confidence; }
  bool vacuous() const { return !(value() < 1); }
};
/// `margins` [images] are lower limits on the margins of the training images, `drops` [images] upper limits
/// on what each may lose. `cost` >= 0 is added to ln(2 / delta).
MarginBound margin_bound(const VectorD& margins, const VectorD& drops, const std::vector<LayerNorms>& norms,
                         const DataNorms& data, double gamma, double delta, double cost);
/// Share of entries with margin <= gamma + drop; NaN counts.
double share_within(const VectorD& margins, const VectorD& drops, double gamma);
/// min over j != y of pair(n, j) - value(n, j): lower limits on margins after the drop. An empty `value` is
/// 0.
VectorD least_margins(const MatrixD& pair, const MatrixD& value, const std::vector<std::int32_t>& labels);

}  // namespace temblor
