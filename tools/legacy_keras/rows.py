"""The code of each row that `probe` measures: the very text that is run."""

FIRST_STEP = "model.train_on_batch(x, y)\n"
FLAT = "model = Model(images, head(bn(images)))\ncompile(model)\n"
NESTED = "base = Model(images, bn(images))\n{}model = Model(inputs, head(base(inputs{})))\ncompile(model)\n"
# the row's name and its code
ROWS = [
    ("BatchNormalization()", FLAT),
    ("BatchNormalization() on (N, C)", "images = rows\n" + FLAT),
    ("BatchNormalization(momentum=0.9)", "bn = BatchNormalization(momentum=0.9, name='bn')\n" + FLAT),
    ("layer.trainable = False", "bn.trainable = False\n" + FLAT),
    ("layer.trainable = False, after compile", FLAT + "bn.trainable = False\n"),
    ("layer.trainable = False, after the first step", FLAT + FIRST_STEP + "bn.trainable = False\n"),
    ("layer.trainable = False before compile, True after it",
     "bn.trainable = False\n" + FLAT + "bn.trainable = True\n"),
    ("base.trainable = False; model = Model(inputs, head(base(inputs)))",
     NESTED.format("base.trainable = False\n", "")),
    ("base.trainable = False; model = Model(base.input, head(base.output))",
     "base = Model(images, bn(images))\nbase.trainable = False\n"
     "model = Model(base.input, head(base.output))\ncompile(model)\n"),
    ("base.trainable = False; then layer.trainable = isinstance(layer, BatchNormalization)",
     NESTED.format(
         "base.trainable = False\n"
         "for layer in base.layers:\n"
         "    layer.trainable = isinstance(layer, BatchNormalization)\n", "")),
    ("model.trainable = False; then layer.trainable = isinstance(layer, BatchNormalization)",
     "model = Model(images, head(bn(images)))\nmodel.trainable = False\n"
     "for layer in model.layers:\n"
     "    layer.trainable = isinstance(layer, BatchNormalization)\ncompile(model)\n"),
    ("layer.trainable = isinstance(layer, BatchNormalization)",
     "model = Model(images, head(bn(images)))\n"
     "for layer in model.layers:\n"
     "    layer.trainable = isinstance(layer, (BatchNormalization, Dense))\ncompile(model)\n"),
    ("layer(x, training=False)", FLAT.replace("bn(images)", "bn(images, training=False)")),
    ("layer(x, training=False); layer.trainable = False",
     "bn.trainable = False\n" + FLAT.replace("bn(images)", "bn(images, training=False)")),
    ("base(x, training=False)", NESTED.format("", ", training=False")),
    ("base(x, training=False); base.trainable = False",
     NESTED.format("base.trainable = False\n", ", training=False")),
    ("layer(x, training=True)", FLAT.replace("bn(images)", "bn(images, training=True)")),
    ("layer(x, training=True); layer.trainable = False",
     "bn.trainable = False\n" + FLAT.replace("bn(images)", "bn(images, training=True)")),
    ("K.set_learning_phase(0)", "K.set_learning_phase(0)\n" + FLAT),
    ("K.set_learning_phase(0) for the base, 1 for the head",
     "K.set_learning_phase(0)\nfeatures = bn(images)\nK.set_learning_phase(1)\n"
     "model = Model(images, head(features))\ncompile(model)\n"),
    ("K.set_learning_phase(0); layer.trainable = False",
     "K.set_learning_phase(0)\nbn.trainable = False\n" + FLAT),
]  # fmt: skip
