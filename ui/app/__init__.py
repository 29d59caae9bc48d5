"""The page: Streamlit for the layout, our own small components where it has none, our own routes for media."""
