"""Write the small ONNX model of this folder: pip install onnx && python write.py.

Its three outputs are the first word's number, the number of words and the mean of the pixels.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

FOLDER = Path(__file__).resolve().parent


def main():
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, 4, 6]),
    ]
    constants = [
        helper.make_tensor("start", TensorProto.INT64, [1], [0]),
        helper.make_tensor("stop", TensorProto.INT64, [1], [1]),
        helper.make_tensor("words", TensorProto.INT64, [1], [1]),
        helper.make_tensor("all", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
    ]
    nodes = [
        helper.make_node("Slice", ["input_ids", "start", "stop", "words"], ["first"]),
        helper.make_node("Cast", ["first"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["attention_mask", "words"], ["count"], keepdims=1),
        helper.make_node("Cast", ["count"], ["b"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixel_values", "all"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "column"], ["c"]),
        helper.make_node("Concat", ["a", "b", "c"], ["logits"], axis=1),
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "small", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, FOLDER / "small.onnx")


if __name__ == "__main__":
    main()
