//! What the server decides by itself, from the log and the graph, as events.
