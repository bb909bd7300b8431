/** Values that callers from JavaScript hand over by mistake, and what each kind of parameter takes of them. */

export const wrong = {
  undefined: undefined,
  null: null,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  'a negative number': -1,
  zero: 0,
  one: 1,
  'a fraction': 0.5,
  'no text': '',
  'a text': 'nonsense',
  'a text with NUL': 'non\0sense',
  'no list': [],
  'a list of texts': ['nonsense'],
  'a list of nothing': [null],
  'a list of numbers': [0.5, 1],
  'a list with NaN': [Number.NaN],
  'a Float32Array': new Float32Array(2),
  'an object': {},
  true: true,
  'a function': () => {},
} as const satisfies Record<string, unknown>

export type Wrong = keyof typeof wrong

/** What a parameter takes of these. */
export type Takes = readonly Wrong[]

const anyText = ['no text', 'a text', 'a text with NUL'] as const
const anyNumber = ['a negative number', 'zero', 'one', 'a fraction'] as const
const counts = ['zero', 'one'] as const

export const nothing: Takes = []
export const anything = Object.keys(wrong) as Wrong[]
export const text: Takes = anyText
export const name: Takes = ['a text', 'a text with NUL']
export const path: Takes = ['a text']
export const number: Takes = anyNumber
export const count: Takes = counts
export const positive: Takes = ['one']
export const ratio: Takes = ['one', 'a fraction']
export const flag: Takes = ['true']
export const call: Takes = ['a function']
export const paths: Takes = ['a list of texts']
export const floats: Takes = ['a Float32Array']
export const list: Takes = ['no list']
export const options: Takes = ['undefined', 'an object']
/** Where some field is needed. */
export const needed: Takes = []

export function optional(takes: Takes): Takes {
  return [...takes, 'undefined']
}
