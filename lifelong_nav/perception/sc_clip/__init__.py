"""SC-CLIP (OLiVia-Nav, 2409.13675): pictures and scene facts into the space of captions.

The frozen trunk and text tower run on onnxruntime; the head that learns is numpy. torch and open_clip are
needed to train and export only.
"""
