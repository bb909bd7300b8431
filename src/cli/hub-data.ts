import type { FetchDatasetFile } from '../data/samples.js'
import { fetchDatasetFile } from '../hub/fetch-dataset.js'
import { type ProgressKind, withDownload } from './progress.js'

/** Data sets of the hub for commands: from its cache, or downloaded into it. */
export function fetchFromHub(asked: ProgressKind | undefined): FetchDatasetFile {
  return (repo, path, options) =>
    withDownload(`${repo}/${path}`, asked, (callbacks) =>
      fetchDatasetFile(repo, path, { ...options, ...callbacks }),
    )
}
