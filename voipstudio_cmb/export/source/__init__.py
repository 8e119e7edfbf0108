"""Where the rows of a file come from: a `Source` hands on one `Batch` after the other.

source_of(file)  ->  Source
                       |- CollectionSource   a page at a time, chosen by ids
                       `- ButtonSource       one by one, by the ids that others name
ButtonIds            those ids: read from a resource, or taken from its rows
"""
