// Fixed embeddings of DiT.
#pragma once

#include "l2c/core/torch.h"

namespace l2c {

// Sinusoids of timesteps t [N] (any dtype): [N, dim] fp32, cosines first, frequencies
// exp(-ln(10000) * i / (dim / 2)). Reference: TimestepEmbedder in DiT's models.py.
at::Tensor timestep_sinusoids(const at::Tensor& t, int dim);

// The same with frequencies [dim / 2] made once: timestep_frequencies(dim) on t's device. They are
// made on the CPU whatever the device, so that all devices see the same angles.
at::Tensor timestep_frequencies(int dim);
at::Tensor timestep_sinusoids(const at::Tensor& t, const at::Tensor& frequencies);

// Positions of a grid x grid image: [1, grid * grid, dim] fp32, made in double; the column (w) half
// comes first. Reference: get_2d_sincos_pos_embed in DiT's models.py.
at::Tensor sincos_positions(int dim, int grid);

}  // namespace l2c
