"""The encoder "offline": EfficientNet-Lite0 and MiniLM out of installed packages, brought into one space by us.

`packages` finds and checks the networks, `image_tower` and `text_tower` run them, `palette` sees colours, `sentences`
tells a sentence's parts apart, `knowledge` is what was trained, `encoder` puts it together.
"""
