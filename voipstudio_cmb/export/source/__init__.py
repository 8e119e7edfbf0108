"""Where the rows of a file come from: a `Source` hands on one `Batch` after the other.

source_of(client, plan, file, …)  ->  Source
    |- CollectionSource   a page at a time, chosen by ids; rows that came late at the end
    `- ButtonSource       single buttons, by the ids that others name
ButtonIds            those ids: read from a resource, or taken from its rows
"""
