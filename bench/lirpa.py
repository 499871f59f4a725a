"""The same bounds by auto_LiRPA (Xu et al., NeurIPS 2020), where it is installed; used by peer_bounds.py.

Weights are perturbed through BoundedParameter; layers carry a zero bias, since perturbed layers without one are not
supported there. Float32, no care for rounding; upper limits on the drop are margin - lower limit of the margin."""

import time

METHODS = {"interval": "IBP", "linear-fast": "CROWN-IBP", "linear": "CROWN", "linear-alpha": "CROWN-Optimized"}
IMAGES = {"interval": 20, "linear-fast": 20, "linear": 10, "linear-alpha": 1}


def available():
    try:
        import auto_LiRPA  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def chain(weights, eps):
    import numpy
    import torch
    from auto_LiRPA import BoundedParameter
    from auto_LiRPA.perturbations import PerturbationLpNorm
    layers = []
    for i, weight in enumerate(weights):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight = BoundedParameter(torch.tensor(weight, dtype=torch.float32),
                                         PerturbationLpNorm(norm=numpy.inf, eps=eps))
        linear.bias = torch.nn.Parameter(torch.zeros(weight.shape[0]))
        layers.append(linear)
        if i + 1 < len(weights):
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def run(name, weights, images, labels, eps, steps):
    """(real ms, processor ms) an image with all its pairs, and the mean drop over the images bounded."""
    import torch
    from auto_LiRPA import BoundedModule
    model = chain(weights, eps)
    inputs = torch.tensor(images[:IMAGES[name]], dtype=torch.float32)
    bounded = BoundedModule(model, inputs[:1], bound_opts={"optimize_bound_args": {"iteration": steps}})
    classes = len(weights[-1])
    begin, cpu, total = time.perf_counter(), time.process_time(), 0.0
    for n in range(len(inputs)):
        other = [j for j in range(classes) if j != labels[n]]
        pairs = torch.zeros(1, len(other), classes)
        pairs[0, :, labels[n]] = 1
        pairs[0, range(len(other)), other] = -1
        low = bounded.compute_bounds(x=(inputs[n:n + 1],), C=pairs, method=METHODS[name], bound_upper=False)[0]
        with torch.no_grad():
            total += float((pairs[0] @ model(inputs[n:n + 1])[0] - low[0]).mean())
    count = len(inputs)
    return ([1e3 * (time.perf_counter() - begin) / count, 1e3 * (time.process_time() - cpu) / count], total / count)
