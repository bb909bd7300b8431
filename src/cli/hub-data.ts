import type { FetchDatasetFile } from '../data/samples.js'
import { fetchDatasetFile } from '../hub/fetch-dataset.js'

/** Data sets of the hub for commands: from its cache, or downloaded into it. */
export const fetchFromHub: FetchDatasetFile = (repo, path, options) => fetchDatasetFile(repo, path, options)
