import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { PNG } from 'pngjs'

/** Where Debian, Ubuntu, Fedora and Arch put it; CHROMIUM names another. */
const candidates = [
  process.env.CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

/** null: there is none, and tests that need one skip and say so, unless they may not. */
export const chromiumPath = candidates.find((path) => path !== '' && existsSync(path)) ?? null

/** Set by .ci/run: without a browser, tests that need one fail. */
export const browserRequired = process.env.HEADZIP_BROWSER_TESTS === 'required'

/** Every 4 x 4 pixels become one: kilobytes to store, and the edges of letters, which differ, count less. */
export function shrunk(png: Uint8Array, factor = 4): PNG {
  const full = PNG.sync.read(Buffer.from(png))
  const [width, height] = [Math.floor(full.width / factor), Math.floor(full.height / factor)]
  const small = new PNG({ width, height })
  for (let i = 0; i < width * height; i++)
    for (let channel = 0; channel < 4; channel++) {
      let sum = 0
      for (let pixel = 0; pixel < factor * factor; pixel++) {
        const x = (i % width) * factor + (pixel % factor)
        const y = Math.floor(i / width) * factor + Math.floor(pixel / factor)
        sum += full.data[(y * full.width + x) * 4 + channel]!
      }
      small.data[i * 4 + channel] = Math.round(sum / factor ** 2)
    }
  return small
}

export interface PictureDifference {
  /** mean over pixels and channels, of 255 */
  mean: number
  /** share of the shrunk pixels that differ clearly */
  clearly: number
}

/** Compares with the stored picture; HEADZIP_SCREENSHOTS=update stores the new one instead. */
export async function differenceTo(path: string, picture: PNG): Promise<PictureDifference> {
  if (process.env.HEADZIP_SCREENSHOTS === 'update')
    await writeFile(path, PNG.sync.write(picture, { colorType: 2 }))
  const stored = PNG.sync.read(await readFile(path))
  if (stored.width !== picture.width || stored.height !== picture.height) return { mean: 255, clearly: 1 }
  let sum = 0
  let clear = 0
  for (let i = 0; i < stored.width * stored.height; i++) {
    const apart = [0, 1, 2].map((channel) =>
      Math.abs(stored.data[i * 4 + channel]! - picture.data[i * 4 + channel]!),
    )
    sum += apart.reduce((total, each) => total + each, 0)
    if (Math.max(...apart) > 48) clear++
  }
  const pixels = stored.width * stored.height
  return { mean: sum / (3 * pixels), clearly: clear / pixels }
}
