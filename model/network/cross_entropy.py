"""The weighted cross-entropy of pre-training, with its gradient made in the forward pass.

In: logits (M, C) in the compute dtype, labels int64 and weights float32 of M elements (0 = unused).
Out: the sum over rows of weight x cross-entropy, a float32 scalar in nats.

The plain formula keeps three float32 copies of the logits, 12 bytes for each target and word. In
chunks of rows everything between the logits and their gradient fits a processor's cache, or little
of a GPU's memory, and only the gradient is kept, in the compute dtype. A compiler makes kernels of
its own of the plain one.

Legend: M rows, C classes, R rows of a chunk.
"""

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 2**19  # logits: 2 MiB of float32
GPU_CHUNK = 2**26  # 256 MiB, a kernel for which takes longer than its launch


def weighted_cross_entropy(logits_MC: Tensor, labels_M: Tensor, weights_M: Tensor) -> Tensor:
    """Sum over rows of weight x cross-entropy, taken in float32."""
    if logits_MC.requires_grad and not torch.compiler.is_compiling():
        return _InChunks.apply(logits_MC, labels_M, weights_M)
    return plain_cross_entropy(logits_MC, labels_M, weights_M)


def plain_cross_entropy(logits_MC: Tensor, labels_M: Tensor, weights_M: Tensor) -> Tensor:
    """The same as a formula."""
    losses_M = functional.cross_entropy(logits_MC.float(), labels_M, reduction="none")
    return (losses_M * weights_M).sum()


class _InChunks(torch.autograd.Function):
    """The gradient of a row's loss is weight x (softmax - 1 at its label)."""

    @staticmethod
    def forward(ctx, logits_MC: Tensor, labels_M: Tensor, weights_M: Tensor) -> Tensor:
        gradient_MC = torch.empty_like(logits_MC)
        chunk_size = GPU_CHUNK if logits_MC.is_cuda else CHUNK
        rows = max(1, chunk_size // logits_MC.shape[1])
        total = logits_MC.new_zeros((), dtype=torch.float32)
        for start in range(0, len(logits_MC), rows):
            chunk = slice(start, start + rows)
            labels_R1, weights_R1 = labels_M[chunk, None], weights_M[chunk, None]
            x_RC = logits_MC[chunk].float()
            right_R1, most_R1 = x_RC.gather(1, labels_R1), x_RC.amax(1, keepdim=True)
            shares_RC = torch.softmax(x_RC, 1)
            # The greatest share cannot vanish, as that of the label may.
            log_sum_R1 = most_R1 - shares_RC.amax(1, keepdim=True).log()
            total += ((log_sum_R1 - right_R1) * weights_R1).sum()
            shares_RC.mul_(weights_R1)
            # Not scatter_add_, which a GPU does in no fixed order.
            shares_RC.scatter_(1, labels_R1, shares_RC.gather(1, labels_R1) - weights_R1)
            gradient_MC[chunk] = shares_RC
        ctx.save_for_backward(gradient_MC)
        return total

    @staticmethod
    def backward(ctx, factor: Tensor) -> tuple[Tensor, None, None]:
        (gradient_MC,) = ctx.saved_tensors
        return gradient_MC * factor, None, None
