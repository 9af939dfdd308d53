//! Listeners, authentication, limits, routes, realtime and the embedded web application.
