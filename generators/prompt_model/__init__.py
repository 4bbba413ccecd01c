"""The prompt model: a multimodal language model that reads products and writes scenes."""
