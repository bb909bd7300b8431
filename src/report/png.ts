/** SVG -> PNG, with a font that comes as a package: the same picture on a machine that has no fonts. */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Resvg } from '@resvg/resvg-js'
import { check } from '../check.js'
import { invalidParameter } from '../errors.js'

const fonts = join(dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')), 'ttf')

/** @param zoom pixels a unit of the SVG; 2 is sharp on today's screens */
export function renderPng(svg: string, zoom = 2): Uint8Array {
  check(svg, 'svg', 'text')
  check(zoom, 'zoom', 'number')
  if (zoom <= 0) throw invalidParameter('zoom', 'a number above 0', zoom)
  return new Resvg(svg, {
    fitTo: { mode: 'zoom', value: zoom },
    font: {
      loadSystemFonts: false,
      fontFiles: ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) => join(fonts, name)),
      defaultFontFamily: 'DejaVu Sans',
    },
  })
    .render()
    .asPng()
}
