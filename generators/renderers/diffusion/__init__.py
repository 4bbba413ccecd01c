"""A latent diffusion model paints the scene around the product."""
