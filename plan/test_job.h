// A small, complete training job for tests: change what the test is about.
#pragma once

#include "proto/job.pb.h"

namespace waferstream {

// GPT-2 with 2 layers, 32 wide, 4 heads, 64 tokens of vocabulary, context 16, tied; 8 micro-batches
// of 1 sequence; f32; tiles of 1024 elements (several a matrix); AdamW; one process of each role;
// 64 MiB of SRAM; no data, no validation.
inline JobSpec TestJob() {
  JobSpec job;
  job.set_name("test");
  ModelSpec* model = job.mutable_model();
  model->set_family("gpt2");
  model->set_layers(2);
  model->set_hidden(32);
  model->set_heads(4);
  model->set_vocab(64);
  model->set_context(16);
  model->set_ffn(128);
  model->set_tied(true);
  model->set_norm_eps(1e-5);
  TrainingSpec* training = job.mutable_training();
  training->set_steps(4);
  training->set_global_batch(8);
  training->set_micro_batch(1);
  training->set_clip(1.0);
  training->set_tile_elements(1024);
  AdamW* adamw = training->mutable_optimizer()->mutable_adamw();
  adamw->set_lr(1e-3);
  adamw->set_beta1(0.9);
  adamw->set_beta2(0.95);
  adamw->set_eps(1e-8);
  adamw->set_weight_decay(0.1);
  ClusterSpec* cluster = job.mutable_cluster();
  cluster->set_wafers(1);
  cluster->set_memoryx(1);
  cluster->set_swarmx(1);
  cluster->set_fanout(4);
  cluster->set_planes(1);
  cluster->mutable_wafer()->set_profile("wse3");
  cluster->mutable_wafer()->set_sram_bytes(64 << 20);
  cluster->mutable_wafer()->set_kernel_threads(1);
  job.mutable_checkpoint()->set_keep(1);
  return job;
}

}  // namespace waferstream
