// Plan::Hash(): the canonical bytes of a plan, in the order of its fields, every number as 64 bits,
// little-endian. Streamed, because those of a large plan are hundreds of megabytes.
#include <xxhash.h>

#include <bit>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/status.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

class Bytes {
 public:
  Bytes() : state_(XXH3_createState()) {
    WS_CHECK(state_ != nullptr);
    XXH3_64bits_reset(state_);
  }
  ~Bytes() { XXH3_freeState(state_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  void Add(uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(value >> (8 * i));
    XXH3_64bits_update(state_, bytes, sizeof(bytes));
  }
  void Add(double value) { Add(std::bit_cast<uint64_t>(value)); }
  template <typename T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
  void Add(T value) { Add(static_cast<uint64_t>(value)); }
  void Add(std::string_view text) {
    Add(text.size());
    XXH3_64bits_update(state_, text.data(), text.size());
  }
  template <typename T>
  void AddList(const std::vector<T>& list) {
    Add(list.size());
    for (const T& item : list) Add(item);
  }
  void Add(const Credit& credit) {
    for (int slots : credit.slots) Add(slots);
  }
  void Add(const Endpoint& end) {
    Add(end.role);
    Add(end.process);
    Add(end.node);
  }
  void Add(const Parameter& p) {
    Add(std::string_view(p.name));
    Add(std::string_view(p.prefix));
    Add(p.rows);
    Add(p.cols);
    Add(KindOf(p));
    Add(p.transposed_in_checkpoint);
    Add(p.init_std);
    Add(p.init_value);
    Add(p.cut_like);
    Add(p.contributions);
  }
  void Add(const Tile& t) {
    Add(t.parameter);
    Add(t.first_row);
    Add(t.rows);
    Add(t.shard);
    Add(t.plane);
    Add(t.slot);
  }
  void Add(const GradientItem& g) {
    Add(g.tile);
    Add(g.contribution);
  }
  void Add(const TreeNode& n) {
    Add(n.plane);
    Add(n.process);
    AddList(n.up_channels);
    AddList(n.down_channels);
  }
  void Add(const ShardHolders& s) {
    AddList(s.owners);
    AddList(s.filling);
  }
  void Add(const Channel& c) {
    Add(c.kind);
    Add(c.plane);
    Add(c.shard);
    Add(c.up);
    Add(c.down);
    Add(c.tile_window);
    Add(c.gradient_window);
  }
  void Add(const GraphNode& n) {
    Add(n.kind);
    AddList(n.reads);
    AddList(n.writes);
    AddList(n.vectors);
    Add(n.matrices.empty() ? -1 : n.matrices[0]);
    const Attributes& a = n.attributes;
    Add(a.epsilon);
    for (const int64_t number : {a.norm_width, a.head_dim, a.window, a.rotary.dims}) Add(number);
    for (const HeadColumns& h : {a.q, a.k, a.v}) {
      for (const int64_t number : {int64_t{h.operand}, h.first, h.stride, h.heads}) Add(number);
    }
    Add(a.exact);
    Add(a.rotary.interleaved);
    for (const double number : {a.rotary.theta, a.rotary.factor, a.rotary.low_freq_factor,
                                a.rotary.high_freq_factor, a.rotary.original_context}) {
      Add(number);
    }
    if (a.experts > 0) AddExperts(n);
    if (n.kind == OpKind::kScale) {
      Add(a.factor);
      Add(a.drop);
    }
    if (a.label_smoothing != 0 || a.z_loss != 0) {
      Add(a.label_smoothing);
      Add(a.z_loss);
    }
  }
  // Plans without any have the hash that they had before there were some.
  void AddExperts(const GraphNode& n) {
    const Attributes& a = n.attributes;
    AddList(n.matrices);
    for (const int64_t number : {a.experts, a.experts_per_token}) Add(number);
    Add(a.norm_topk);
    Add(a.aux_loss);
  }
  void Add(const Value& v) {
    Add(v.width);
    Add(v.per_token);
    Add(v.dtype);
    Add(v.storage);
  }
  void Add(const Operation& o) {
    Add(o.kind);
    Add(o.backward);
    Add(o.node);
    AddList(o.reads);
    AddList(o.writes);
  }
  void Add(const Op& op) {
    Add(op.operation);
    Add(op.accumulate);
    Add(op.item);
    AddList(op.needs);
    AddList(op.releases);
    AddList(op.gradients);
  }
  void Add(const SramRegion& r) {
    Add(r.buffer);
    Add(r.plane);
    Add(std::string_view(r.name));
    Add(r.offset);
    Add(r.bytes);
    Add(r.count);
  }

  uint64_t Hash() const { return XXH3_64bits_digest(state_); }

 private:
  // Its properties in one number: that of a matrix (decayed, cut) is 1, that of a vector 0, as when
  // there was only this one, and plans of then have the hash that they had.
  static uint64_t KindOf(const Parameter& p) {
    const bool usually_cut = p.two_dimensional || p.cut_like >= 0;
    return uint64_t{p.two_dimensional} | uint64_t{p.decayed != p.two_dimensional} << 1 |
           uint64_t{!p.trained} << 2 | uint64_t{p.one_tile == usually_cut} << 3 |
           uint64_t{p.orthogonal} << 4;
  }

  XXH3_state_t* const state_;
};

// Equal messages give equal bytes; protobuf promises that only within one build, and one build is
// what all nodes of a job run (see the protocol version in Register).
std::string Canonical(const JobSpec& job) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    // Not with the sizes that an earlier serialization left, or none: lengths would be those, and a
    // packed list without one missing.
    WS_CHECK(job.SerializeToCodedStream(&coded));
  }
  return bytes;
}

void AddProgram(const Program& program, Bytes& bytes) {
  bytes.AddList(program.values);
  bytes.AddList(program.operations);
  for (const auto* ops : {&program.forward, &program.backward, &program.generate}) {
    bytes.AddList(*ops);
  }
  bytes.AddList(program.forward_stream);
  bytes.AddList(program.backward_stream);
  bytes.AddList(program.gradient_stream);
}

}  // namespace

uint64_t Plan::Hash() const {
  Bytes bytes;
  bytes.Add(std::string_view(Canonical(job)));
  for (int n : {shape.wafers, shape.memoryx, shape.swarmx}) bytes.Add(n);
  bytes.AddList(shape.shards);
  bytes.Add(wire);
  bytes.AddList(graph.nodes);
  bytes.AddList(parameters);
  bytes.AddList(tiles);
  for (int n : {leaves, resident_max, verify_slots, waves, validation_leaves, validation_waves}) {
    bytes.Add(n);
  }
  bytes.Add(validation_sequences);
  bytes.AddList(tree_nodes);
  bytes.AddList(channels);
  for (size_t slot_bytes : tile_slot_bytes) bytes.Add(slot_bytes);
  for (size_t slot_bytes : gradient_slot_bytes) bytes.Add(slot_bytes);
  bytes.Add(policy.recompute);
  bytes.Add(policy.holds_weights);
  bytes.Add(policy.keeps_logits);
  AddProgram(program, bytes);
  bytes.AddList(places.offsets);
  bytes.Add(places.bytes);
  bytes.AddList(sram.regions);
  bytes.Add(sram.bytes);
  return bytes.Hash();
}

}  // namespace waferstream
