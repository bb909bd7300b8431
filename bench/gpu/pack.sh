#!/usr/bin/env bash
# Packs what a GPU machine without Node and network lacks into .gpu/: this machine's node, the addon, the compiled command
# with its packages, vitest, and the kernel programs. Carry the checkout and that folder over; there: bash .gpu/run.sh
#   bench/gpu/pack.sh            after npm run setup where nvcc is (CUDAARCHS=90a-real builds for Hopper only)
set -euo pipefail
cd "$(dirname "$0")/../.."
out=.gpu
addon=build/Release/headzip.node
[[ -f $addon ]] || { echo "$addon is missing: run npm run setup first" >&2; exit 1; }
mkdir -p "$out"

node=$(node -p process.execPath)
mark=$(sha256sum < "$node" | cut -c1-16)
if [[ ! -f $out/node.xz || $(cat "$out/node.mark" 2> /dev/null) != "$mark" ]]; then
  copy=$(mktemp)
  cp "$node" "$copy"
  strip -s "$copy"
  xz -T0 --x86 --lzma2=preset=6 -c "$copy" > "$out/node.xz.part"
  mv "$out/node.xz.part" "$out/node.xz"
  echo "$mark" > "$out/node.mark"
  rm "$copy"
fi

cp "$addon" "$out/headzip.node"
strip --strip-unneeded "$out/headzip.node"
cmake --build build --target gpu_ladder gpu_timed backend_parity > /dev/null
for name in gpu_ladder libgpu_timed.so backend_parity; do
  cp "build/$name" "$out/" 2> /dev/null || cp "build/Release/$name" "$out/" 2> /dev/null || cp "build/test/$name" "$out/"
  strip --strip-unneeded "$out/$name"
done

# The command as compiled, and the packages that it and vitest need, from this checkout's node_modules.
tar -cf - dist | xz -9 > "$out/dist.tar.xz"
if [[ ! -f $out/modules.tar.xz || package-lock.json -nt $out/modules.tar.xz ]]; then
  node bench/gpu/closure.mjs > "$out/modules.list"
  # Without what is for browsers, grammars but Python's, and fonts that nothing here draws with: 64 MiB may travel.
  spare=(--exclude='*.d.ts' --exclude='*.map' --exclude='*.md' --exclude='*.min.js' --exclude='parquet-wasm/bundler'
    --exclude='tree-sitter-wasm/wasm/tree-sitter-[a-oq-z]*.wasm' --exclude='tree-sitter-wasm/wasm/tree-sitter-p[ho]*.wasm'
    --exclude='*Condensed*.ttf' --exclude='*Oblique.ttf' --exclude='*cyrillic*' --exclude='*greek*' --exclude='*vietnamese*' --exclude='tasks/src'
    --exclude='lodash/fp' --exclude='DejaVuSerif*' --exclude='DejaVuMath*' --exclude='*ExtraLight.ttf' --exclude='ttf/status.txt'
    --exclude='d3-node/examples' --exclude='lightningcss.linux*.node' --exclude='dejavu-fonts-ttf/status.txt')
  tar "${spare[@]}" -cf - -T "$out/modules.list" | xz -9 > "$out/modules.part"
  mv "$out/modules.part" "$out/modules.tar.xz"
  rm "$out/modules.list"
fi
cp bench/gpu/run.sh bench/gpu/score_torch.py bench/gpu/kernels_torch.py "$out/"
du -sh "$out"
