/** What all pictures share: the document, its accessible texts, colours, fonts, text that fits. */

import { escapeText } from '../escape.js'
import { newDocument } from './d3.js'

/** The part of a d3 selection that pictures are made with. */
export interface Shape {
  append(name: string): Shape
  attr(name: string, value: string | number): Shape
  text(value: string): Shape
}

/** DejaVu Sans comes with the package for PNGs; Verdana is as wide, so that layouts hold in browsers. */
const fontFamily = "'DejaVu Sans', Verdana, sans-serif"

/** For a white page; a surrounding page may restyle the classes, for attributes yield to any style sheet. */
export const colours = {
  'hz-paper': '#ffffff',
  'hz-ink': '#1f2328',
  'hz-faint': '#59636e',
  'hz-rule': '#c4ccd4',
} as const
export type Tone = keyof typeof colours

export interface Picture {
  width: number
  height: number
  /** prefix of every id, different for each picture of a page */
  id: string
  title: string
  description: string
  /** `group` where parts of the picture can be reached by keyboard; default `img` */
  role?: 'img' | 'group'
}

/** A complete SVG document on a filled background; the same drawing gives the same text. */
export function drawSvg(picture: Picture, draw: (svg: Shape) => void): string {
  const { width, height, id } = picture
  const node = newDocument()
  const svg: Shape = node
    .createSVG(width, height)
    .attr('viewBox', `0 0 ${width} ${height}`)
    .attr('role', picture.role ?? 'img')
    .attr('aria-labelledby', `${id}-title ${id}-desc`)
    .attr('font-family', fontFamily)
  svg.append('title').attr('id', `${id}-title`).text(plain(picture.title))
  svg.append('desc').attr('id', `${id}-desc`).text(plain(picture.description))
  svg
    .append('rect')
    .attr('class', 'hz-paper')
    .attr('width', width)
    .attr('height', height)
    .attr('fill', colours['hz-paper'])
  draw(svg)
  return `${node.svgString()}\n`
}

export interface TextStyle {
  size: number
  tone?: Tone
  anchor?: 'start' | 'middle' | 'end'
  bold?: boolean
}

/** @param y of the baseline */
export function drawText(parent: Shape, x: number, y: number, content: string, style: TextStyle): Shape {
  const { size, tone = 'hz-ink', anchor = 'start', bold = false } = style
  const text = parent
    .append('text')
    .attr('x', round(x))
    .attr('y', round(y))
    .attr('class', tone)
    .attr('fill', colours[tone])
    .attr('font-size', size)
  if (anchor !== 'start') text.attr('text-anchor', anchor)
  if (bold) text.attr('font-weight', 'bold')
  return text.text(plain(content))
}

export function drawLine(parent: Shape, from: [number, number], to: [number, number], tone: Tone): Shape {
  return parent
    .append('line')
    .attr('x1', round(from[0]))
    .attr('y1', round(from[1]))
    .attr('x2', round(to[0]))
    .attr('y2', round(to[1]))
    .attr('class', `${tone}-line`)
    .attr('stroke', colours[tone])
}

/** Width of a character of DejaVu Sans in em, on the safe side of its average. */
const charWidth = 0.6

export function textWidth(content: string, size: number): number {
  return content.length * size * charWidth
}

/** Lines of at most `width` pixels, broken at blanks; a longer word is cut. */
export function wrapText(content: string, size: number, width: number): string[] {
  const most = Math.max(Math.floor(width / (size * charWidth)), 8)
  const lines: string[] = []
  for (const word of plain(content)
    .split(' ')
    .flatMap((long) => long.match(new RegExp(`.{1,${most}}`, 'gu')) ?? [])) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= most)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** XML knows no control characters, not even escaped ones; those that it knows, and turned text, are shown as escapes. */
export function plain(content: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return escapeText(content.replace(/[\u0000-\u001f\u007f\ufffe\uffff\s]+/g, ' '))
}

/** Two decimals, so that pictures do not change with the last bit of a sum. */
export function round(value: number): number {
  return Math.round(value * 100) / 100
}
