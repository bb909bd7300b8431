/** d3-node, loaded with the first picture: with the DOM that it brings it takes 0.3 s and 50 MiB, which scoring never needs. */

import { createRequire } from 'node:module'
import type { D3, D3Node } from 'd3-node'

let loaded: { D3Node: typeof D3Node; d3: D3 } | undefined

function load(): { D3Node: typeof D3Node; d3: D3 } {
  if (loaded) return loaded
  // Required in its own name: drawing is synchronous, and Node before 22.13 warns where a file outside of node_modules
  // requires an ES module.
  const file = createRequire(import.meta.url).resolve('d3-node')
  const module: { D3Node: typeof D3Node } = createRequire(file)(file)
  loaded = { D3Node: module.D3Node, d3: new module.D3Node().d3 }
  return loaded
}

/** An empty document to draw in. */
export const newDocument = (): D3Node => new (load().D3Node)()

/** Scales, colours and lines. */
export const d3 = (): D3 => load().d3
