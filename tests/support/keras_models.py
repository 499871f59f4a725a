"""Writes Keras model files (HDF5) and what the models compute: keras_models.py FOLDER.

Each layer is evaluated here with plain loops over channels-last arrays in double, while its configuration and its
weights are recorded; the file is then written as Keras 2 or Keras 3 lays it out. logits.h5 has, for each model, the
images as [channels, rows, columns] rows and the logits.
"""
import json
import sys

import h5py
import numpy as np

rng = np.random.default_rng(3)


class Tensor:
    def __init__(self, value, layer):
        self.value, self.layer = value, layer


class Model:
    def __init__(self, first=False):
        self.records, self.first = [], first  # first: channels_first

    # Recording.
    def layer(self, kind, name, value, inputs=(), weights=(), **config):
        config["name"] = name
        config["trainable"], config["dtype"] = True, "float32"
        self.records.append((kind, name, config, [t.layer for t in inputs], list(weights)))
        return Tensor(value, name)

    def format(self):
        return "channels_first" if self.first else "channels_last"

    def last(self, t):
        return t.value.transpose(0, 2, 3, 1) if self.first else t.value

    def out(self, value):
        return value.transpose(0, 3, 1, 2) if self.first else value

    # Layers.
    def input(self, images, name="input_1"):
        value = images.transpose(0, 3, 1, 2) if self.first and images.ndim == 4 else images
        return self.layer("InputLayer", name, value, shape=[None, *value.shape[1:]])

    def dense(self, t, name, units, activation="linear", bias=True):
        w = rng.normal(0, 1 / np.sqrt(t.value.shape[1]), (t.value.shape[1], units)).astype("float32")
        b = rng.normal(0, 0.3, units).astype("float32")
        y = t.value @ w.astype("float64") + (b if bias else 0)
        return self.layer("Dense", name, act(y, activation), [t],
                          [("kernel", w)] + ([("bias", b)] if bias else []), units=units, activation=activation,
                          use_bias=bias)

    def conv(self, t, name, filters, kernel, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1,
             activation="linear", bias=True):
        x = self.last(t)
        k = rng.normal(0, 1, (*kernel, x.shape[3] // groups, filters)).astype("float32") / 3
        b = rng.normal(0, 0.3, filters).astype("float32")
        y = correlate(x, k, strides, padding, dilation, groups) + (b if bias else 0)
        return self.layer("Conv2D", name, self.out(act(y, activation)), [t],
                          [("kernel", k)] + ([("bias", b)] if bias else []), filters=filters,
                          kernel_size=list(kernel), strides=list(strides), padding=padding, dilation_rate=list(dilation),
                          groups=groups, activation=activation, use_bias=bias, data_format=self.format())

    def depthwise(self, t, name, kernel, each, strides=(1, 1), padding="valid", keras3=False):
        x = self.last(t)
        k = rng.normal(0, 1, (*kernel, x.shape[3], each)).astype("float32") / 2
        b = rng.normal(0, 0.3, x.shape[3] * each).astype("float32")
        y = channelwise(x, k, strides, padding) + b
        return self.layer("DepthwiseConv2D", name, self.out(y), [t],
                          [("kernel" if keras3 else "depthwise_kernel", k), ("bias", b)], kernel_size=list(kernel),
                          strides=list(strides), padding=padding, depth_multiplier=each, activation="linear",
                          use_bias=True, dilation_rate=[1, 1], data_format=self.format())

    def separable(self, t, name, filters, kernel, each=1, padding="same"):
        x = self.last(t)
        k = rng.normal(0, 1, (*kernel, x.shape[3], each)).astype("float32") / 2
        p = rng.normal(0, 1, (1, 1, x.shape[3] * each, filters)).astype("float32") / 3
        b = rng.normal(0, 0.3, filters).astype("float32")
        y = channelwise(x, k, (1, 1), padding) @ p[0, 0].astype("float64") + b
        return self.layer("SeparableConv2D", name, self.out(y), [t],
                          [("depthwise_kernel", k), ("pointwise_kernel", p), ("bias", b)], filters=filters,
                          kernel_size=list(kernel), strides=[1, 1], padding=padding, depth_multiplier=each,
                          activation="linear", use_bias=True, dilation_rate=[1, 1], data_format=self.format())

    def pool(self, t, name, mean, size, strides=None, padding="valid"):
        value = pooled(self.last(t), mean, size, strides or size, padding)
        return self.layer("AveragePooling2D" if mean else "MaxPooling2D", name, self.out(value), [t],
                          pool_size=list(size), strides=list(strides) if strides else None, padding=padding,
                          data_format=self.format())

    def average(self, t, name, keepdims=False):
        y = self.last(t).mean(axis=(1, 2))
        return self.layer("GlobalAveragePooling2D", name, self.out(y[:, None, None]) if keepdims else y, [t],
                          keepdims=keepdims, data_format=self.format())

    def largest(self, t, name):
        return self.layer("GlobalMaxPooling2D", name, self.last(t).max(axis=(1, 2)), [t], data_format=self.format())

    def norm(self, t, name, scale=True, center=True, epsilon=1e-3):
        axis = 1 if self.first and t.value.ndim == 4 else t.value.ndim - 1
        n = t.value.shape[axis]
        gamma, beta, mean = (rng.normal(s, 0.4, n).astype("float32") for s in (1, 0, 0))
        variance = rng.uniform(0.3, 2, n).astype("float32")
        side = [1] * t.value.ndim
        side[axis] = n
        y = (t.value - mean.reshape(side)) / np.sqrt(variance.astype("float64") + epsilon).reshape(side)
        if scale: y = y * gamma.reshape(side)
        if center: y = y + beta.reshape(side)
        weights = ([("gamma", gamma)] if scale else []) + ([("beta", beta)] if center else [])
        return self.layer("BatchNormalization", name, y, [t],
                          weights + [("moving_mean", mean), ("moving_variance", variance)], axis=[axis],
                          epsilon=epsilon, scale=scale, center=center, momentum=0.99)

    def activation(self, t, name, function):
        return self.layer("Activation", name, act(t.value, function), [t], activation=function)

    def relu(self, t, name, **config):
        y = np.maximum(t.value, 0) + config.get("negative_slope", 0) * np.minimum(t.value, 0)
        if config.get("max_value"): y = np.minimum(y, config["max_value"])
        return self.layer("ReLU", name, y, [t], **config)

    def leaky(self, t, name, slope, keras3=False):
        y = np.where(t.value > 0, t.value, slope * t.value)
        return self.layer("LeakyReLU", name, y, [t], **{"negative_slope" if keras3 else "alpha": slope})

    def same(self, t, kind, name, **config):
        return self.layer(kind, name, t.value, [t], **config)

    def flatten(self, t, name):
        value = self.last(t) if t.value.ndim == 4 else t.value  # channels go last whatever the format
        return self.layer("Flatten", name, value.reshape(len(value), -1), [t], data_format=self.format())

    def reshape(self, t, name, *shape):
        return self.layer("Reshape", name, t.value.reshape(len(t.value), *shape), [t], target_shape=list(shape))

    def permute(self, t, name, *order):
        return self.layer("Permute", name, t.value.transpose(0, *order), [t], dims=list(order))

    def add(self, name, *inputs):
        return self.layer("Add", name, sum(t.value for t in inputs), inputs)

    def concat(self, name, *inputs, axis=-1):
        return self.layer("Concatenate", name, np.concatenate([t.value for t in inputs], axis), inputs, axis=axis)

    def pad(self, t, name, rows, columns):
        y = np.pad(self.last(t), ((0, 0), rows, columns, (0, 0)))
        return self.layer("ZeroPadding2D", name, self.out(y), [t], padding=[list(rows), list(columns)],
                          data_format=self.format())

    def crop(self, t, name, rows, columns):
        x = self.last(t)
        y = x[:, rows[0]:x.shape[1] - rows[1], columns[0]:x.shape[2] - columns[1]]
        return self.layer("Cropping2D", name, self.out(y), [t], cropping=[list(rows), list(columns)],
                          data_format=self.format())

    def rescale(self, t, name, scale, offset):
        return self.layer("Rescaling", name, t.value * scale + offset, [t], scale=scale, offset=offset)

    def standardise(self, t, name):
        n = t.value.shape[-1]
        mean, variance = rng.normal(0, 1, n).astype("float32"), rng.uniform(0.5, 2, n).astype("float32")
        y = (t.value - mean) / np.sqrt(variance.astype("float64"))
        return self.layer("Normalization", name, y, [t], [("mean", mean), ("variance", variance),
                                                           ("count", np.int64(0))], axis=[-1], invert=False)

    def inner(self, t, other, name, output):
        """The layers of another model, evaluated on t already, as one layer."""
        self.records.append(("model", name, other, [t.layer], []))
        return Tensor(output.value, name)


def act(y, name):
    return {"linear": lambda: y, "relu": lambda: np.maximum(y, 0), "sigmoid": lambda: 1 / (1 + np.exp(-y)),
            "tanh": lambda: np.tanh(y), "relu6": lambda: np.clip(y, 0, 6), "softmax": lambda: y,
            "leaky_relu": lambda: np.where(y > 0, y, 0.2 * y),
            "hard_silu": lambda: y * np.clip(y / 6 + 0.5, 0, 1)}[name]()


def padded(x, kernel, strides, padding, dilation=(1, 1), fill=0.0):
    if padding == "valid": return x
    sides = []
    for size, k, s, d in zip(x.shape[1:3], kernel, strides, dilation):
        k = (k - 1) * d + 1
        total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
        sides.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *sides, (0, 0)), constant_values=fill)


def windows(x, kernel, strides, dilation=(1, 1)):
    """(row, column, values [images, taps, taps, channels]) of every place."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    rows = (x.shape[1] - reach[0]) // strides[0] + 1
    columns = (x.shape[2] - reach[1]) // strides[1] + 1
    for r in range(rows):
        for c in range(columns):
            top, left = r * strides[0], c * strides[1]
            yield r, c, rows, columns, x[:, top:top + reach[0]:dilation[0], left:left + reach[1]:dilation[1]]


def correlate(x, k, strides, padding, dilation=(1, 1), groups=1):
    x, k = padded(x, k.shape[:2], strides, padding, dilation), k.astype("float64")
    inputs, outputs, y = k.shape[2], k.shape[3] // groups, None
    for r, c, rows, columns, part in windows(x, k.shape[:2], strides, dilation):
        if y is None: y = np.zeros((len(x), rows, columns, k.shape[3]))
        for g in range(groups):
            y[:, r, c, g * outputs:(g + 1) * outputs] = np.einsum(
                "nijc,ijco->no", part[..., g * inputs:(g + 1) * inputs], k[..., g * outputs:(g + 1) * outputs])
    return y


def channelwise(x, k, strides, padding):
    x, k, y = padded(x, k.shape[:2], strides, padding), k.astype("float64"), None
    for r, c, rows, columns, part in windows(x, k.shape[:2], strides):
        if y is None: y = np.zeros((len(x), rows, columns, k.shape[2] * k.shape[3]))
        y[:, r, c] = np.einsum("nijc,ijcm->ncm", part, k).reshape(len(x), -1)
    return y


def pooled(x, mean, size, strides, padding):
    x, y = padded(x, size, strides, padding, fill=np.nan), None
    for r, c, rows, columns, part in windows(x, size, strides):
        if y is None: y = np.zeros((len(x), rows, columns, x.shape[3]))
        y[:, r, c] = (np.nanmean if mean else np.nanmax)(part, axis=(1, 2))
    return y


# Files.

def entry(record, keras3, linked):
    kind, name, config, inputs, _ = record
    if kind == "model":
        made = config_of(config, keras3, name)
    else:
        config = dict(config)
        if kind == "InputLayer": config["batch_shape" if keras3 else "batch_input_shape"] = config.pop("shape")
        if keras3:
            config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"},
                               "registered_name": None}
        made = {"class_name": kind, "config": config}
        if keras3: made.update(module="keras.layers", registered_name=None)
    if not linked: return made
    made["name"] = name
    if not inputs: links = []
    elif keras3:
        tensors = [{"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32",
                                                                 "keras_history": [i, 0, 0]}} for i in inputs]
        links = [{"args": [tensors if kind in ("Add", "Concatenate") else tensors[0]], "kwargs": {}}]
    else: links = [[[i, 0, 0, {}] for i in inputs]]
    made["inbound_nodes"] = links
    return made


def config_of(model, keras3, name, sequential=None):
    records = model.records
    chain = all(r[3] == [records[i - 1][1]] for i, r in enumerate(records) if i)
    linked = not chain if sequential is None else not sequential
    config = {"name": name, "layers": [entry(r, keras3, linked) for r in records]}
    if linked:
        first, last = [records[0][1], 0, 0], [records[-1][1], 0, 0]
        config["input_layers"], config["output_layers"] = (first, last) if keras3 else ([first], [last])
    return {"class_name": "Functional" if linked else "Sequential", "config": config}


def names(model):
    """(name in the file, values) of a model's weights, those of models inside it too."""
    for kind, name, config, _, weights in model.records:
        if kind == "model": yield from names(config)
        for parameter, values in weights: yield name, parameter, values


def write(path, model, keras3=False, sequential=None, split=False, spoil=None):
    config = config_of(model, keras3, "model", sequential)
    if spoil: spoil(config)
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"], f.attrs["backend"] = ("3.3.3", "torch") if keras3 else ("2.11.0", "tensorflow")
        f.attrs["model_config"] = json.dumps(config) if keras3 else json.dumps(config).encode()
        f.attrs["training_config"] = json.dumps({"loss": "categorical_crossentropy"})
        root = f.create_group("model_weights")
        root.attrs["layer_names"] = [r[1].encode() for r in model.records]
        for kind, name, inner, _, weights in model.records:
            group = root.create_group(name)
            all = list(names(inner)) if kind == "model" else [(name, *w) for w in weights]
            paths = [f"{own}/{p}" if keras3 else f"{own}/{p}:0" for own, p, _ in all]
            if split and len(paths) > 1:
                group.attrs["weight_names0"] = [paths[0].encode()]
                group.attrs["weight_names1"] = [p.encode() for p in paths[1:]]
            else: group.attrs["weight_names"] = [p.encode() for p in paths]
            for path_of, (_, _, values) in zip(paths, all): group[path_of] = values
        root.create_group("top_level_model_weights").attrs["weight_names"] = []


def images(*shape):
    return rng.normal(0, 1, (5, *shape))


def models():
    m = Model()
    x = m.input(images(6, 5), "flatten_input")
    t = m.norm(m.dense(m.flatten(x, "flatten"), "dense", 12), "batch_normalization")
    t = m.same(m.activation(t, "activation", "relu"), "Dropout", "dropout", rate=0.3)
    t = m.dense(t, "dense_1", 9, "tanh", bias=False)
    yield "mlp", m, x, m.dense(t, "dense_2", 4, "softmax"), {}

    m = Model()
    x = m.input(images(11, 10, 3))
    t = m.same(m.rescale(x, "rescaling", 0.5, -1.0), "RandomFlip", "flip", mode="horizontal")
    t = m.conv(t, "conv1", 8, (3, 2), (2, 2), "same", activation="relu")
    t = m.norm(t, "bn1")
    t = m.depthwise(m.pad(t, "padding", (1, 0), (0, 2)), "dw", (3, 3), 2, (1, 1), "same")
    t = m.relu(m.norm(t, "bn2", scale=False), "relu", max_value=6.0)
    t = m.pool(t, "pool1", False, (3, 3), (2, 2), "same")
    t = m.leaky(m.separable(t, "sep", 6, (3, 3), 2), "leaky", 0.2)
    t = m.conv(t, "conv2", 4, (2, 2), padding="same", dilation=(2, 2), groups=2, activation="leaky_relu")
    t = m.norm(m.pool(t, "pool2", True, (2, 2), (1, 2), "same"), "bn3", center=False)
    t = m.norm(m.flatten(m.crop(t, "crop", (1, 0), (0, 1)), "flat"), "bn4")
    t = m.same(m.dense(t, "fc1", 7, "sigmoid"), "Dropout", "drop", rate=0.5)
    yield "conv", m, x, m.activation(m.dense(t, "fc2", 5), "out", "softmax"), {"split": True}

    for keras3 in (False, True):
        m = Model()
        x = m.input(images(8, 8, 3))
        t = m.standardise(x, "normal")
        t = m.relu(m.norm(m.conv(t, "stem", 6, (3, 3), padding="same", bias=False), "stem_bn"), "stem_relu")
        u = m.activation(m.norm(m.conv(t, "a", 6, (3, 3), padding="same"), "a_bn"), "a_act", "relu6")
        u = m.norm(m.conv(u, "b", 6, (3, 3), padding="same"), "b_bn")
        t = m.relu(m.add("sum", t, u), "sum_relu", negative_slope=0.1)
        v = m.conv(t, "c", 4, (1, 1), (2, 2), activation="relu")
        t = m.concat("join", m.pool(t, "down", True, (2, 2)), v)
        side = Model()
        s = side.input(np.zeros((1, *t.value.shape[1:])), "inner_input")
        s.value = t.value
        s = side.norm(side.conv(s, "conv", 5, (3, 3), activation="relu"), "bn")
        t = m.inner(t, side, "backbone", s)
        t = m.leaky(m.depthwise(t, "dw", (2, 2), 1, keras3=keras3), "leaky", 0.3, keras3)
        t = m.concat("both", m.average(t, "average"), m.largest(t, "largest"), m.flatten(t, "flat"))
        yield f"graph{3 if keras3 else 2}", m, x, m.dense(t, "logits", 3, "softmax"), {"keras3": keras3}

    m = Model()
    x = m.input(images(6 * 4 * 2))
    t = m.conv(m.reshape(x, "image", 6, 4, 2), "conv", 3, (3, 3), padding="same", activation="hard_silu" )
    t = m.permute(m.reshape(m.flatten(t, "flat"), "again", 4, 6, 3), "turn", 3, 1, 2)
    t = m.average(m.conv(t, "last", 4, (2, 2)), "mean", keepdims=True)
    yield "shapes", m, x, m.flatten(t, "end"), {"keras3": True, "sequential": True}

    m = Model(first=True)
    x = m.input(images(7, 6, 2))
    t = m.norm(m.conv(x, "conv", 4, (3, 3), (2, 2), "same", activation="relu"), "bn")
    t = m.concat("join", t, m.pool(x, "pool", False, (2, 2), padding="same"), axis=1)
    yield "first", m, x, m.dense(m.flatten(t, "flat"), "fc", 3), {}

    m = Model()
    x = m.input(images(4, 4, 2))
    t = m.flatten(m.conv(x, "conv", 2, (3, 3)), "flat")
    yield "open_end", m, x, t, {}


def main(folder):
    with h5py.File(folder + "/logits.h5", "w") as f:
        for name, model, x, y, options in models():
            write(f"{folder}/{name}.h5", model, **options)
            value = x.value
            if value.ndim == 4 and not model.first: value = value.transpose(0, 3, 1, 2)
            f[name + "/x"] = value.reshape(len(value), -1)
            f[name + "/y"] = y.value


if __name__ == "__main__":
    main(sys.argv[1])
